"""What people would use instead: each a small file, set up as its own documentation recommends."""
