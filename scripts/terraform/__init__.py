"""Run Terraform for make, the tests and the targets.

``python -m scripts.terraform <arguments>`` runs ``terraform <arguments>`` with the provider installation that
:mod:`scripts.terraform.providers` chooses; ``... check [directory ...]`` initialises, validates and tests every
configuration; ``... find`` prints the path of Terraform, if it will do; ``... outputs FILE`` writes the outputs of
``terraform/``, as applied, into a file.

The package needs the standard library only.
"""

from scripts.terraform.common import CONFIGURATION, WHOLE, TerraformError
from scripts.terraform.workspace import PERSONAL_FILES, Plan, Workspace

__all__ = ["CONFIGURATION", "PERSONAL_FILES", "WHOLE", "Plan", "TerraformError", "Workspace"]
