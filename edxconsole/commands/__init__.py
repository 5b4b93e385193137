"""The commands, one module each; `edxconsole/cli.py` imports a module when its command runs."""
