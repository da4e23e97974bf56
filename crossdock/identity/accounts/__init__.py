"""People as identity needs them: found by address, locked, changed in what they sign in with."""
