# Region, credentials and endpoints come from the environment (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL ...), so that the
# same configuration serves AWS and an emulator.
provider "aws" {
  # Path style, because emulators have no host name per bucket. AWS serves both forms.
  s3_use_path_style = true
}

module "backend" {
  source = "./modules/backend"

  access_log_enabled              = var.access_log_enabled
  additional_routes               = var.additional_routes
  allow_replacement               = var.allow_replacement
  architecture                    = var.architecture
  authorization_type              = var.authorization_type
  authorizer_function_arn         = var.authorizer_function_arn
  authorizer_memory_size          = var.authorizer_memory_size
  authorizer_permission           = var.authorizer_permission
  authorizer_reserved_concurrency = var.authorizer_reserved_concurrency
  client_limits                   = var.client_limits
  code_revision                   = var.code_revision
  default_endpoint_enabled        = var.default_endpoint_enabled
  environment_kms_key_arn         = var.environment_kms_key_arn
  handlers_bucket                 = var.handlers_bucket
  handlers_directory              = var.handlers_directory
  history_generation              = var.history_generation
  history_retention_minutes       = var.history_retention_minutes
  history_rooms                   = var.history_rooms
  http2                           = var.http2
  jwt_audience                    = var.jwt_audience
  jwt_audience_claim              = var.jwt_audience_claim
  jwt_default_rooms               = var.jwt_default_rooms
  jwt_issuer                      = var.jwt_issuer
  jwt_jwks_url                    = var.jwt_jwks_url
  jwt_max_lifetime_seconds        = var.jwt_max_lifetime_seconds
  jwt_rooms_claim                 = var.jwt_rooms_claim
  jwt_secret_arn                  = var.jwt_secret_arn
  jwt_stale_keys_minutes          = var.jwt_stale_keys_minutes
  jwt_subject_claim               = var.jwt_subject_claim
  jwt_token_from                  = var.jwt_token_from
  kick_enabled                    = var.kick_enabled
  kick_principals                 = var.kick_principals
  log_kms_key_arn                 = var.log_kms_key_arn
  log_level                       = var.log_level
  log_retention_days              = var.log_retention_days
  management_endpoint             = var.management_endpoint
  max_rooms_per_connection        = var.max_rooms_per_connection
  maximum_message_bytes           = var.maximum_message_bytes
  maximum_room_members            = var.maximum_room_members
  messages_per_second             = var.messages_per_second
  name                            = var.name
  pace                            = var.pace
  permissions_boundary_arn        = var.permissions_boundary_arn
  point_in_time_recovery          = var.point_in_time_recovery
  presence_max_members            = var.presence_max_members
  presence_rooms                  = var.presence_rooms
  presence_window_seconds         = var.presence_window_seconds
  publish_enabled                 = var.publish_enabled
  publish_queue_enabled           = var.publish_queue_enabled
  published_handlers              = var.published_handlers
  publisher_principals            = var.publisher_principals
  queue_kms_key_arn               = var.queue_kms_key_arn
  queued_delivery                 = var.queued_delivery
  redeployment_triggers           = var.redeployment_triggers
  sendmessage_memory_size         = var.sendmessage_memory_size
  shards_per_room                 = var.shards_per_room
  shards_read                     = var.shards_read
  stage_name                      = var.stage_name
  table_deletion_protection       = var.table_deletion_protection
  table_kms_key_arn               = var.table_kms_key_arn
  table_name                      = var.table_name
  tags                            = var.tags
  throttling_burst_limit          = var.throttling_burst_limit
  throttling_rate_limit           = var.throttling_rate_limit
}
