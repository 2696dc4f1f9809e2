# Region, credentials and endpoints come from the environment (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL ...), so that the
# same configuration serves AWS and an emulator.
provider "aws" {
  # Path style, because emulators have no host name per bucket. AWS serves both forms.
  s3_use_path_style = true
}

module "backend" {
  source = "./modules/backend"

  access_log_enabled        = var.access_log_enabled
  additional_routes         = var.additional_routes
  allow_replacement         = var.allow_replacement
  architecture              = var.architecture
  authorization_type        = var.authorization_type
  authorizer_function_arn   = var.authorizer_function_arn
  authorizer_permission     = var.authorizer_permission
  code_revision             = var.code_revision
  handlers_bucket           = var.handlers_bucket
  handlers_directory        = var.handlers_directory
  http2                     = var.http2
  log_kms_key_arn           = var.log_kms_key_arn
  log_level                 = var.log_level
  log_retention_days        = var.log_retention_days
  management_endpoint       = var.management_endpoint
  name                      = var.name
  pace                      = var.pace
  permissions_boundary_arn  = var.permissions_boundary_arn
  point_in_time_recovery    = var.point_in_time_recovery
  queued_delivery           = var.queued_delivery
  redeployment_triggers     = var.redeployment_triggers
  sendmessage_memory_size   = var.sendmessage_memory_size
  shards_per_room           = var.shards_per_room
  shards_read               = var.shards_read
  stage_name                = var.stage_name
  table_deletion_protection = var.table_deletion_protection
  table_kms_key_arn         = var.table_kms_key_arn
  table_name                = var.table_name
  tags                      = var.tags
  throttling_burst_limit    = var.throttling_burst_limit
  throttling_rate_limit     = var.throttling_rate_limit
}
