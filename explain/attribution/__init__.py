"""What each segment of an exchange contributes to a target; the one door to captum.

Two families. Removal (`removal`) takes segments out of the text and asks the target again: any
target. Gradients (`gradients`) move the input embeddings from a neutral text to the real one: where
a model is at hand. What they say is not the same thing: a token of a response is both said (its own
probability) and read (by the tokens behind it); removal sees both, gradients see the reading alone.
"""
