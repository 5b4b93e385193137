"""edxconsole: a live terminal operations console for Open edX clusters, over plain SSH."""

__version__ = "0.1.0"
