provider "aws" {}

# One backend, and a route of another team beside Roomcast's. The team has its code, its function and its rights in its own
# hands; the backend gives it the route, and the permission to be invoked by exactly that route.
module "roomcast" {
  source = "../../modules/backend"

  name = var.name

  additional_routes = {
    "count" = {
      function_name         = module.count.function_name
      invoke_arn            = module.count.invoke_arn
      throttling_rate_limit = 50
      timeout_milliseconds  = 8000
    }
  }
}

# Any function will do. This one is made by the module that makes Roomcast's own, and its code in count.py uses Roomcast's
# package to read the room and to answer.
module "count" {
  source = "../../modules/handler"

  name             = "${var.name}-count"
  description      = "Tells a client how many members its room has."
  filename         = var.zip
  handler          = "count.handler"
  memory_size      = 256
  source_code_hash = filebase64sha256(var.zip)

  environment = {
    ROOMCAST_MANAGEMENT_ENDPOINT = module.roomcast.management_endpoint
    ROOMCAST_SHARDS_READ         = tostring(module.roomcast.shards_per_room)
    ROOMCAST_TABLE_NAME          = module.roomcast.connections_table_name
  }

  # It reads members and answers clients of this stage. It writes nothing.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadMembers"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:Query"]
        Resource = module.roomcast.connections_table_arn
      },
      {
        Sid      = "AnswerCaller"
        Effect   = "Allow"
        Action   = "execute-api:ManageConnections"
        Resource = "${module.roomcast.stage_execution_arn}/POST/@connections/*"
      },
    ]
  })
}
