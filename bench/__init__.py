"""Measures imipd beside the floor and its peers, on real servers: `make bench` (docs/bench/README.md)."""
