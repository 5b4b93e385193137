"""Inspectors: what one component on one host is made of, read at the moment of asking. Changes nothing."""
