# Two accounts and two Regions in one plan. The backends have one name: nothing of one meets anything of the other.
provider "aws" {
  alias   = "america"
  profile = var.america_profile
  region  = "us-west-2"
}

provider "aws" {
  alias   = "europe"
  profile = var.europe_profile
  region  = "eu-central-1"
}

module "america" {
  source = "../../modules/backend"

  name = var.name

  providers = {
    aws = aws.america
  }
}

module "europe" {
  source = "../../modules/backend"

  name = var.name

  providers = {
    aws = aws.europe
  }
}
