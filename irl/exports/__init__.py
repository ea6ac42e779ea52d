"""Rewards given to others: directories, reward functions of RLHF trainers, an HTTP server."""
