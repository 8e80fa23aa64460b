"""In-memory results and indexes over packed codes."""
