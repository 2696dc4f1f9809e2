# The Lambda authorizer of the handshake.

locals {
  has_authorizer = var.authorization_type == "CUSTOM"

  # By index: `module.authorizer[*]` would wait for the whole module.
  authorizer_id = local.has_authorizer ? module.authorizer[0].authorizer_id : null

  authorizer_triggers = local.has_authorizer ? { "roomcast:authorizer" = module.authorizer[0].redeployment_trigger } : {}
}

module "authorizer" {
  source = "../authorizer"
  count  = local.has_authorizer ? 1 : 0

  name          = var.name
  api_id        = module.websocket_api.api_id
  execution_arn = module.websocket_api.execution_arn
  function_arn  = var.authorizer_function_arn
  permission    = var.authorizer_permission
}
