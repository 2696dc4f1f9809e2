# A stage from a release: `terraform init` and `terraform apply` in an empty folder, without a clone and without a build.
provider "aws" {}

module "roomcast" {
  # Name your copy of the repository, and a release. In production, pin a commit id or an archive's checksum.
  source = "git::https://github.com/ORG/roomcast.git//terraform/modules/backend?ref=v1.2.3&depth=1"

  name = var.name
}
