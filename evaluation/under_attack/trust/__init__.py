"""Questions to a robustness that cost passes through the network: is it the model's, or the attacks' failure?"""

from evaluation.under_attack.trust.panel import Examined, examined

__all__ = ["Examined", "examined"]
