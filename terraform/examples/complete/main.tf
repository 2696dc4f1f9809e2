provider "aws" {}

# A backend with most of its options. Each is described in modules/backend/README.md, and may be left out.
module "roomcast" {
  source = "../../modules/backend"

  name       = var.name
  stage_name = "v1"
  tags       = { team = "chat" }

  # Clients with a token of your identity provider; without one, every client that knows the URL.
  authorization_type       = var.identity == null ? "NONE" : "JWT"
  jwt_audience             = var.identity == null ? [] : [var.identity.audience]
  jwt_issuer               = var.identity == null ? [] : [var.identity.issuer]
  jwt_jwks_url             = var.identity == null ? null : var.identity.jwks_url
  jwt_max_lifetime_seconds = 3600

  # Messages pass through a queue, in their order, to workers.
  queued_delivery = {
    enabled             = true
    fifo                = true
    maximum_concurrency = 20
  }

  # Rooms that keep messages for clients that return, and rooms that tell who comes and goes.
  history_retention_minutes = 120
  history_rooms             = ["team-*"]
  presence_rooms            = ["team-*"]

  # Services publish by invoking a function, or through a queue, and throw clients out.
  kick_enabled          = true
  publish_enabled       = true
  publish_queue_enabled = true

  # Limits of a connection, of a room and of the stage.
  maximum_message_bytes  = 32768
  maximum_room_members   = 5000
  messages_per_second    = 5
  throttling_burst_limit = 500
  throttling_rate_limit  = 1000

  # What an operator sees.
  access_log_enabled       = true
  dashboard_enabled        = true
  detailed_metrics_enabled = true
  execution_logging_level  = "ERROR"
  log_retention_days       = 90

  # Your keys; null means AWS's.
  environment_kms_key_arn = var.kms_key_arn
  log_kms_key_arn         = var.kms_key_arn
  queue_kms_key_arn       = var.kms_key_arn
  table_kms_key_arn       = var.kms_key_arn

  # Settings of all functions, and of single ones.
  function_defaults = {
    role_path    = "/chat/"
    tracing_mode = "Active"
    vpc          = var.vpc
  }

  functions = {
    connect = { reserved_concurrency = 100 }
    publish = { memory_size = 1769 }
  }
}
