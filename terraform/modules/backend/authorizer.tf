# The Lambda authorizer of the handshake: Roomcast's own, which checks tokens, or the team's.

locals {
  # Shown even if the caller marks the variable as sensitive, because the plan shows which objects there are.
  has_authorizer = nonsensitive(contains(["JWT", "CUSTOM"], var.authorization_type))
  checks_tokens  = nonsensitive(var.authorization_type == "JWT")

  # API Gateway requires all sources that are listed, and a token is in one place.
  token_sources = {
    header      = "route.request.header.Authorization"
    query       = "route.request.querystring.token"
    subprotocol = "route.request.header.Sec-WebSocket-Protocol"
  }
  identity_sources = (
    local.checks_tokens && length(var.jwt_token_from) == 1
    ? [for place in var.jwt_token_from : local.token_sources[place]]
    : []
  )

  # A variable that is null is left out, because Lambda's variables are texts.
  authorizer_environment = {
    for name, value in {
      ROOMCAST_BACKEND                  = var.name
      ROOMCAST_DNS_SUFFIX               = local.dns_suffix
      ROOMCAST_JWT_AUDIENCE             = jsonencode(var.jwt_audience)
      ROOMCAST_JWT_AUDIENCE_CLAIM       = var.jwt_audience_claim
      ROOMCAST_JWT_DEFAULT_ROOMS        = var.jwt_default_rooms == null ? null : jsonencode(var.jwt_default_rooms)
      ROOMCAST_JWT_ISSUER               = jsonencode(var.jwt_issuer)
      ROOMCAST_JWT_JWKS_URL             = var.jwt_jwks_url
      ROOMCAST_JWT_MAX_LIFETIME_SECONDS = var.jwt_max_lifetime_seconds
      ROOMCAST_JWT_ROOMS_CLAIM          = var.jwt_rooms_claim
      ROOMCAST_JWT_SECRET_ARN           = var.jwt_secret_arn
      ROOMCAST_JWT_STALE_KEYS_MINUTES   = var.jwt_stale_keys_minutes
      ROOMCAST_JWT_SUBJECT_CLAIM        = var.jwt_subject_claim
      ROOMCAST_JWT_TOKEN_FROM           = jsonencode(var.jwt_token_from)
      ROOMCAST_LOG_LEVEL                = var.log_level
      ROOMCAST_VERSION                  = module.zips.version
    } : name => tostring(value) if value != null
  }

  # Whatever key the secret has, and for this secret alone.
  read_secret = var.jwt_secret_arn == null ? "" : jsonencode([
    {
      Sid      = "ReadSecret"
      Effect   = "Allow"
      Action   = "secretsmanager:GetSecretValue"
      Resource = var.jwt_secret_arn
    },
    {
      Sid      = "UseSecretKey"
      Effect   = "Allow"
      Action   = "kms:Decrypt"
      Resource = "*"
      Condition = {
        StringEquals = {
          "kms:EncryptionContext:SecretARN" = var.jwt_secret_arn
          "kms:ViaService"                  = "secretsmanager.${try(split(":", var.jwt_secret_arn)[3], "")}.${local.dns_suffix}"
        }
      }
    },
  ])

  # A policy must have a statement, and reading public keys needs no right: this one everybody has. Nothing is denied,
  # because Lambda decrypts the environment, manages network interfaces and writes traces in the role's name.
  nothing_more = jsonencode([{
    Sid      = "NothingMore"
    Effect   = "Allow"
    Action   = "sts:GetCallerIdentity"
    Resource = "*"
  }])

  authorizer_rights = var.jwt_secret_arn == null ? local.nothing_more : local.read_secret

  # By index: `module.authorizer[*]` would wait for the whole module.
  authorizer_id = local.has_authorizer ? module.authorizer[0].authorizer_id : null

  authorizer_triggers = local.has_authorizer ? { "roomcast:authorizer" = module.authorizer[0].redeployment_trigger } : {}
}

module "authorizer" {
  source = "../authorizer"
  count  = local.has_authorizer ? 1 : 0 # authorization_type must be known at plan

  name             = var.name
  alias            = local.checks_tokens ? { arn = aws_lambda_alias.readers["authorizer"].arn } : null
  api_id           = module.websocket_api.api_id
  execution_arn    = module.websocket_api.execution_arn
  function_arn     = local.checks_tokens ? module.handler["authorizer"].arn : var.authorizer_function_arn
  identity_sources = local.identity_sources
  permission       = local.checks_tokens || var.authorizer_permission
}
