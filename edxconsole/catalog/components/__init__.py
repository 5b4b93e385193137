"""One YAML file per component; see `edxconsole/catalog/model.py` for the keys."""
