"""Concepts: directions in hidden states, and whether a target goes with them (TCAV).

1. The hidden states of every answer at a layer, averaged over its tokens (`states`).
2. The direction of a concept: the normal of a linear discriminant between texts with and without
   it, of one origin and behind one prompt; learnt on other prompts than it is used on
   (`directions`).
3. Does it tell held-out texts with the concept from those without? If not, the concept is not
   there.
4. Score: of two answers to a prompt, has the one further along the direction more of the target?
   Beside it the score of TCAV (Kim et al. 2018, 1711.11279): the share of answers whose target
   rises as their hidden states move along the direction.
5. The same for many random concepts, whose texts with and without are drawn by lot (`scores`).

Why answers that were given decide, and not TCAV. Moving the states of an answer's tokens along w
turns a policy pi into another policy pi_e, and the probabilities of a policy sum to 1 whatever e:

    E_{y ~ pi} d/de log pi_e(y|x) = sum_y d/de pi_e(y|x) = 0

so over a policy's own answers the mean derivative of its log-probability is nought for every w, be
it paid or not. What is left of a log-ratio's, over the aligned policy's answers, is the reference's
part, the slope of KL(aligned || reference_e). Besides, hidden states hold what has been said:
moving them shows what reading a concept does to the words behind it, while a reward is paid for
saying it. Of a reward model, which says nothing, TCAV means what it says.

Neither tells that a concept is paid for: others go along with it (`nearest`), and the target with
them. In another layer, or in other models, the answer may be another one; and what is not there as
a direction may be there all the same.
"""
