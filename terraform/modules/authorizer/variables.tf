variable "alias" {
  type        = object({ arn = string })
  description = "Alias of the function that API Gateway invokes in place of the function. Null means the function as `function_arn` names it."
  default     = null

  validation {
    condition     = var.alias == null || can(regex("^arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:[a-zA-Z0-9_-]{1,64}:[a-zA-Z0-9_-]{1,128}$", var.alias.arn))
    error_message = "alias must be null or have the ARN of a Lambda function's alias, like \"arn:aws:lambda:eu-central-1:111122223333:function:authorizer:live\"."
  }
}

variable "api_id" {
  type        = string
  description = "Id of the WebSocket API."
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+$", var.api_id))
    error_message = "api_id must be the id of an API, like \"a1b2c3d4e5\"."
  }
}

variable "execution_arn" {
  type        = string
  description = "ARN prefix of the API for permissions."
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z0-9-]+:execute-api:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9-]+$", var.execution_arn))
    error_message = "execution_arn must be the execution ARN of an API, like \"arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5\"."
  }
}

variable "function_arn" {
  type        = string
  description = "ARN of the Lambda function that authorizes handshakes, or of a version or an alias of it."
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:[a-zA-Z0-9_-]{1,64}(:[a-zA-Z0-9_-]{1,128})?$", var.function_arn))
    error_message = "function_arn must be the ARN of a Lambda function, or of a version or an alias of it other than $LATEST, like \"arn:aws:lambda:eu-central-1:111122223333:function:authorizer\"."
  }
}

variable "identity_sources" {
  type        = set(string)
  description = "Parts of a handshake that must be present; API Gateway refuses one that lacks any of them with 401 and does not invoke the function. An empty set requires none."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for source in var.identity_sources : can(regex("^(route\\.request\\.(header|querystring)|stageVariables|context)\\.[A-Za-z0-9._-]+$", source))])
    error_message = "identity_sources must be sources of a WebSocket API, like \"route.request.header.Authorization\" or \"route.request.querystring.token\"."
  }
}

variable "name" {
  type        = string
  description = "Name of the authorizer."
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,64}$", var.name))
    error_message = "name must be 1 to 64 letters, digits, hyphens or underscores."
  }

  # The provider makes a statement id of the name, 12 characters and 26 digits, and Lambda takes 100.
  validation {
    condition     = !var.permission || length(var.name) <= 62
    error_message = "name must be at most 62 characters with permission = true, because the permission's statement id has at most 100."
  }
}

variable "permission" {
  type        = bool
  description = "Whether this module allows the authorizer to invoke the function. A function of another account needs `false`: only that account can change its policy."
  default     = true
  nullable    = false
}
