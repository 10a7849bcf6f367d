"""The console: what people see of revpipe in a browser, and where they decide."""
