"""Typed configuration: frozen pydantic sections, and how files, environment and command line become one of them."""

from advgan.config.baseline import Baseline
from advgan.config.classifier import ClassifierTraining, DefenseConfig, NetworkConfig
from advgan.config.data import DataConfig, ReadData
from advgan.config.gan_networks import GanNetworks
from advgan.config.gan_training import GanTraining
from advgan.config.places import Place
from advgan.config.ramp import Ramp
from advgan.config.section import Budget, Number, Positive, Section, Share

__all__ = [
    "Baseline",
    "Budget",
    "ClassifierTraining",
    "DataConfig",
    "DefenseConfig",
    "GanNetworks",
    "GanTraining",
    "NetworkConfig",
    "Number",
    "Place",
    "Positive",
    "Ramp",
    "ReadData",
    "Section",
    "Share",
]
