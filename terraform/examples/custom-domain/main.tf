provider "aws" {}

# Clients reach the stage through the domain alone, and so do its functions.
module "roomcast" {
  source = "../../modules/backend"

  name                     = var.name
  default_endpoint_enabled = false
  management_endpoint      = module.domain.management_endpoint
}

module "domain" {
  source = "../../modules/custom-domain"

  api_id          = module.roomcast.api_id
  certificate_arn = var.certificate_arn
  dns_record      = var.zone_id == null ? null : { zone_id = var.zone_id }
  domain_name     = var.domain_name
  mapping_key     = "chat"
  stage_name      = module.roomcast.stage_name
}
