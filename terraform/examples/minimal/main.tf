provider "aws" {}

module "roomcast" {
  source = "../../modules/backend"

  name = var.name
}
