"""Tables, charts and pictures; nothing here draws on a page."""
