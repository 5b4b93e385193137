"""What runs on the demo's hosts: small Django-like apps with real dependencies, and stand-ins for daemons."""
