"""Who somebody is: signing up, signing in, sessions, passwords, second factors, tokens."""
