"""Repeatable measurements. `make bench` prints them all; nothing here is a test."""
