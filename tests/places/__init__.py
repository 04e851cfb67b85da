"""The service where people run it: their shells, folders and machines. Looked at from outside; one after the other."""
