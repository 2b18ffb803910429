"""Normalised autoregressive distributions over spin configurations: sample with log q, evaluate log q."""
