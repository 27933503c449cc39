"""White-box attacks with a fixed budget that ascend the gradient: FGSM, PGD, APGD and transfer attacks."""
