"""The trust panel: further attacks and measurements that show whether low attack success is due to failed attacks."""

from evaluation.under_attack.trust.panel import Examined, examined

__all__ = ["Examined", "examined"]
