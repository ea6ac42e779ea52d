"""Concepts: directions in hidden states, and whether a target goes with them (TCAV).

1. The hidden states of every answer at a layer, averaged over its tokens (`states`).
2. The direction of a concept: the mean difference of texts with and without it, among texts of one
   origin after one prompt; learnt on other prompts than it is used on (`directions`).
3. Does the direction tell held-out texts with the concept from those without? If not, it is none.
4. Score: of two answers to a prompt, has the one further along the direction more of the target?
   Beside it TCAV (Kim et al. 2018, 1711.11279): the share of answers whose target rises as hidden
   states move along the direction.
5. The same for many random concepts, texts with and without which were drawn by lot (`scores`).

Why answers that differ decide, and not TCAV. Moving the states of an answer's tokens along v turns
a policy pi into another policy pi_e, and a policy sums to 1 whatever e, so

    E_{y ~ pi} d/de log pi_e(y|x) = sum_y d/de pi_e(y|x) = 0:

on its own answers the mean derivative of a log-probability is nought for every v, paid or not. What
remains of a log-ratio's, over the answers of the aligned policy, is the slope of
KL(aligned || reference_e). And hidden states hold what has been said: moving them tells what
reading a concept does to the words behind it, while a reward is paid for saying it. On pairs with a
planted objective TCAV misses what is paid and fires on what is not (CHANGELOG, #6); for a reward
model, which reads and says nothing, it means what it says.

What neither can tell: a concept that a target goes with need not be paid for, since other concepts
go along with it (`nearest`); at another layer the answer may be another one; the states are those
of these models, which may not hold the concept as a direction at all.
"""
