# Variables for who may connect: the handshake's authorization, the authorizer's function, and tokens.

variable "authorization_type" {
  type        = string
  description = "Authorization of the handshake: `NONE` accepts any client, `AWS_IAM` a URL signed by a principal with `execute-api:Invoke` on the stage, `JWT` a token with a signature of your identity provider, `CUSTOM` what your own Lambda authorizer allows."
  default     = "NONE"
  nullable    = false

  validation {
    condition     = contains(["NONE", "AWS_IAM", "JWT", "CUSTOM"], var.authorization_type)
    error_message = "authorization_type must be \"NONE\", \"AWS_IAM\", \"JWT\" or \"CUSTOM\"."
  }
}

variable "authorizer_function_arn" {
  type        = string
  description = "ARN of your own Lambda authorizer, or of a version or an alias of it, if `authorization_type` is `CUSTOM`."
  default     = null

  validation {
    condition     = var.authorizer_function_arn == null || can(regex("^arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:[a-zA-Z0-9_-]{1,64}(:[a-zA-Z0-9_-]{1,128})?$", var.authorizer_function_arn))
    error_message = "authorizer_function_arn must be null or the ARN of a Lambda function, or of a version or an alias of it other than $LATEST, like \"arn:aws:lambda:eu-central-1:111122223333:function:authorizer\"."
  }

  validation {
    condition     = (var.authorizer_function_arn != null) == (var.authorization_type == "CUSTOM")
    error_message = "authorizer_function_arn must be set if authorization_type is \"CUSTOM\", and null otherwise."
  }
}

variable "authorizer_memory_size" {
  type        = number
  description = "Deprecated, give `functions.authorizer.memory_size` instead. Memory of the function that checks tokens, in MB. It uses 35 MB, and a check takes a third of a millisecond of a whole CPU; a start takes 0.24 s of one, which is 0.8 s of waiting at 512 MB and 0.24 s at 1769."
  default     = 512
  nullable    = false

  validation {
    condition     = var.authorizer_memory_size >= 512 && var.authorizer_memory_size <= 10240 && floor(var.authorizer_memory_size) == var.authorizer_memory_size
    error_message = "authorizer_memory_size must be a whole number of MB from 512 to 10240; with less, a cold start takes about a second."
  }
}

variable "authorizer_permission" {
  type        = bool
  description = "Whether this module allows the API to invoke your own authorizer. Set `false` for a function of another account, because only that account can change its policy; the output `authorizer_source_arn` is the source ARN of the permission."
  default     = true
  nullable    = false
}

variable "authorizer_reserved_concurrency" {
  type        = number
  description = "Deprecated, give `functions.authorizer.reserved_concurrency` instead. Invocations at a time that are reserved for the function that checks tokens, and its maximum, so that a flood of handshakes takes no more of the account's. Null means the account's shared pool."
  default     = null

  validation {
    condition     = var.authorizer_reserved_concurrency == null || try(var.authorizer_reserved_concurrency >= 1 && floor(var.authorizer_reserved_concurrency) == var.authorizer_reserved_concurrency, false)
    error_message = "authorizer_reserved_concurrency must be null or a whole number from 1."
  }
}

variable "jwt_audience" {
  type        = list(string)
  description = "Audiences of which a token must name one."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for audience in var.jwt_audience : try(length(audience) >= 1, false)])
    error_message = "jwt_audience must be texts that are not empty."
  }
}

variable "jwt_audience_claim" {
  type        = string
  description = "Name of the claim with the audience. The access tokens of Amazon Cognito have `client_id`."
  default     = "aud"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.:/-]{1,128}$", var.jwt_audience_claim))
    error_message = "jwt_audience_claim must be the name of a claim: 1 to 128 letters, digits and the characters _ . : / -."
  }
}

variable "jwt_default_rooms" {
  type        = list(string)
  description = "Patterns of rooms for tokens without the claim `jwt_rooms_claim`: a room, or the beginning of rooms and `*`. Null means no room."
  default     = null

  validation {
    condition     = var.jwt_default_rooms == null || try(alltrue([for pattern in var.jwt_default_rooms : can(regex("^([A-Za-z0-9._-]{1,64}[*]?|[*])$", pattern))]), false)
    error_message = "jwt_default_rooms must be null or patterns of rooms: 1 to 64 letters, digits, dots, underscores or hyphens and perhaps a \"*\" at the end, or \"*\" alone."
  }
}

variable "jwt_issuer" {
  type        = list(string)
  description = "Issuers of which a token must name one, each exactly as in the claim `iss`."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for issuer in var.jwt_issuer : try(length(issuer) >= 1, false)])
    error_message = "jwt_issuer must be texts that are not empty."
  }
}

variable "jwt_jwks_url" {
  type        = string
  description = "URL of the identity provider's JSON Web Key Set, with keys for RS256 and ES256. Give either this or `jwt_secret_arn` with `authorization_type = \"JWT\"`."
  default     = null

  validation {
    condition     = var.jwt_jwks_url == null || can(regex("^(https://[A-Za-z0-9][A-Za-z0-9.-]*(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?|http://(127[.]0[.]0[.]1|localhost):([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))/[!$-\\[\\]-~]*$", var.jwt_jwks_url))
    error_message = "jwt_jwks_url must be null or an https URL with a path, in ASCII, without user, fragment and spaces, like \"https://id.example.com/.well-known/jwks.json\"."
  }
}

variable "jwt_max_lifetime_seconds" {
  type        = number
  description = "Longest time from issue to expiry of a token, in seconds. Null means any."
  default     = null

  validation {
    condition     = var.jwt_max_lifetime_seconds == null || try(var.jwt_max_lifetime_seconds >= 1 && var.jwt_max_lifetime_seconds <= 31536000 && floor(var.jwt_max_lifetime_seconds) == var.jwt_max_lifetime_seconds, false)
    error_message = "jwt_max_lifetime_seconds must be null or a whole number of seconds from 1 to 31536000, a year."
  }
}

variable "jwt_rooms_claim" {
  type        = string
  description = "Name of the claim with the rights in rooms: a list of patterns, or a map of patterns to rights."
  default     = "rooms"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.:/-]{1,128}$", var.jwt_rooms_claim))
    error_message = "jwt_rooms_claim must be the name of a claim: 1 to 128 letters, digits and the characters _ . : / -."
  }
}

variable "jwt_secret_arn" {
  type        = string
  description = "ARN of the secret in Secrets Manager, of at least 32 bytes, with which tokens are signed by HS256. The function that checks tokens gets permission to read it."
  default     = null

  validation {
    condition     = var.jwt_secret_arn == null || can(regex("^arn:[a-z0-9-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$", var.jwt_secret_arn))
    error_message = "jwt_secret_arn must be null or the whole ARN of a secret, with the six characters at its end, like \"arn:aws:secretsmanager:eu-central-1:111122223333:secret:chat-a1B2c3\"."
  }
}

variable "jwt_stale_keys_minutes" {
  type        = number
  description = "Minutes that keys are used after their last reading while they cannot be read again. A withdrawn key stays in use for as long if an attacker can block the reading."
  default     = 60
  nullable    = false

  validation {
    condition     = var.jwt_stale_keys_minutes >= 0 && var.jwt_stale_keys_minutes <= 1440 && floor(var.jwt_stale_keys_minutes) == var.jwt_stale_keys_minutes
    error_message = "jwt_stale_keys_minutes must be a whole number of minutes from 0 to 1440."
  }
}

variable "jwt_subject_claim" {
  type        = string
  description = "Name of the claim that says who the client is; every member of a room sees its value."
  default     = "sub"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.:/-]{1,128}$", var.jwt_subject_claim))
    error_message = "jwt_subject_claim must be the name of a claim: 1 to 128 letters, digits and the characters _ . : / -."
  }
}

variable "jwt_token_from" {
  type        = set(string)
  description = "Where a handshake may have its token: `header` is `Authorization: Bearer <token>`, `subprotocol` is `roomcast.bearer.<token>` in `Sec-WebSocket-Protocol`, beside which a client also offers `roomcast.text`, `query` is `?token=<token>`. With a single place API Gateway refuses a handshake without it by itself."
  default     = ["header", "subprotocol"]
  nullable    = false

  validation {
    condition     = length(var.jwt_token_from) >= 1 && length(setsubtract(var.jwt_token_from, ["header", "subprotocol", "query"])) == 0
    error_message = "jwt_token_from must be one or more of \"header\", \"subprotocol\" and \"query\"."
  }
}

variable "redeployment_triggers" {
  type        = map(string)
  description = "Values of your own objects of the API, such as a route response. A change deploys the API again. This is needed only for deletions, because API Gateway deploys creations and updates."
  default     = {}
  nullable    = false
}
