"""The Textual app: modes, commands, palette."""
