"""Breakers: what fails is left alone for a while, by all processes, and tried again by few calls.

`rules` decides, `machine` is pybreaker with a clock of ours, `standing` what is known of one scope,
`service` what callers talk to, `sharing` the way to the other processes, `reader` a look from afar.
"""
