"""The rows of the table: a function each, from a stage to an outcome."""
