"""`crossdock up`: every process of the stack under one roof, kept alive, stopped in order."""
