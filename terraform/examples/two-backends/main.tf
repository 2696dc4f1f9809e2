provider "aws" {}

module "chat" {
  source = "../../modules/backend"

  name = "${var.name}-chat"
}

module "alerts" {
  source = "../../modules/backend"

  name       = "${var.name}-alerts"
  stage_name = "v1"

  additional_routes = {
    "me" = {
      function_name         = module.me.function_name
      invoke_arn            = module.me.invoke_arn
      throttling_rate_limit = 100
    }
  }
}

# Another team's route, with a function and a policy under that team's control. Its code is whoami's, so that the example
# needs no zips but Roomcast's own.
module "me" {
  source = "../../modules/handler"

  name             = "${var.name}-me"
  description      = "Tells a client who it is."
  filename         = module.zips.paths["whoami"]
  handler          = "whoami.handler"
  source_code_hash = module.zips.hashes["whoami"]

  environment = {
    ROOMCAST_MANAGEMENT_ENDPOINT = module.alerts.management_endpoint
    ROOMCAST_TABLE_NAME          = module.alerts.connections_table_name
  }

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = "dynamodb:GetItem"
        Resource = module.alerts.connections_table_arn
      },
      {
        Effect   = "Allow"
        Action   = "execute-api:ManageConnections"
        Resource = "${module.alerts.stage_execution_arn}/POST/@connections/*"
      },
    ]
  })
}

module "zips" {
  source = "../../modules/zips"

  handlers = ["whoami"]
  prefix   = var.name
}
