"""A policy that a completions server holds: it can be asked, but its weights are not here.

The protocol is the OpenAI completions one with what vLLM adds to it: prompts as token ids,
log-probabilities of prompt tokens, and drawn answers as token ids. What a server says counts only
where a parity record holds it against the same checkpoint scored here.
"""
