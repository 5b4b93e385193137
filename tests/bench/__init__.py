"""`make bench`: what issue and design promise, measured on real hosts and printed as a table."""
