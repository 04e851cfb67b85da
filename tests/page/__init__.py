"""The page in a real browser, on the real service; and its pure modules in Node."""
