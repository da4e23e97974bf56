"""Rate limits: who may ask how often, decided in a table that a machine's processes share.

`policies` says who is limited by what, `table` opens the table, `service` decides and counts, and
`exchange` tells other machines.
"""
