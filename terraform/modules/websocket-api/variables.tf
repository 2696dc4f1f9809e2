variable "access_log_enabled" {
  type        = bool
  description = "Whether the stage writes one line per request to its own log group. If AWS refuses with `CloudWatch Logs role ARN must be set in account settings to enable logging`, apply `modules/account-logging` once in the account and Region."
  default     = false
  nullable    = false
}

variable "authorization_type" {
  type        = string
  description = "Authorization of `$connect`: `NONE`, `AWS_IAM` or `CUSTOM`, which needs `authorizer_id`."
  default     = "NONE"
  nullable    = false

  validation {
    condition     = contains(["NONE", "AWS_IAM", "CUSTOM"], var.authorization_type)
    error_message = "authorization_type must be one that WebSocket APIs support: \"NONE\", \"AWS_IAM\" or \"CUSTOM\"."
  }
}

variable "authorizer_id" {
  type        = string
  description = "Id of the Lambda authorizer of `$connect`, if `authorization_type` is `CUSTOM`."
  default     = null

  validation {
    condition     = (var.authorizer_id != null) == (var.authorization_type == "CUSTOM")
    error_message = "authorizer_id must be set if authorization_type is \"CUSTOM\", and null otherwise."
  }
}

variable "default_endpoint_enabled" {
  type        = bool
  description = "Whether the API's own endpoint at `execute-api` answers. Without it clients and `@connections` calls reach the API through a custom domain alone."
  default     = true
  nullable    = false
}

variable "deployment_id" {
  type        = string
  description = "Id of your own deployment for the stage. Null means that API Gateway deploys each change automatically."
  default     = null

  validation {
    condition     = var.deployment_id == null || can(regex("^[a-z0-9]+$", var.deployment_id))
    error_message = "deployment_id must be null or the id of a deployment, like \"a1b2c3\"."
  }
}

variable "description" {
  type        = string
  description = "Description of the API, shown in the console."
  default     = null

  validation {
    condition     = var.description == null || try(length(var.description) <= 1024, false)
    error_message = "description must be null or at most 1024 characters."
  }
}

variable "detailed_metrics_enabled" {
  type        = bool
  description = "Whether CloudWatch also has API Gateway's metrics of each route, which cost as custom metrics."
  default     = false
  nullable    = false
}

variable "execution_logging_level" {
  type        = string
  description = "Execution logs of the stage: `OFF`, `ERROR` or `INFO`, never with the messages themselves. API Gateway creates their log group, which keeps them for ever. If AWS refuses with `CloudWatch Logs role ARN must be set in account settings to enable logging`, apply `modules/account-logging` once in the account and Region."
  default     = "OFF"
  nullable    = false

  validation {
    condition     = contains(["OFF", "ERROR", "INFO"], var.execution_logging_level)
    error_message = "execution_logging_level must be \"OFF\", \"ERROR\" or \"INFO\"."
  }
}

variable "ip_address_type" {
  type        = string
  description = "Addresses of the API's own endpoint: `ipv4`, or `dualstack` for IPv4 and IPv6. Null leaves what the API has, which is `ipv4` for a new one."
  default     = null

  validation {
    condition     = var.ip_address_type == null || try(contains(["ipv4", "dualstack"], var.ip_address_type), false)
    error_message = "ip_address_type must be null, \"ipv4\" or \"dualstack\"."
  }
}

variable "log_kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the access log group; its key policy must allow CloudWatch Logs. Null means CloudWatch's own encryption."
  default     = null

  validation {
    condition     = var.log_kms_key_arn == null || can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.log_kms_key_arn))
    error_message = "log_kms_key_arn must be null or the ARN of a KMS key, like \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\" (an alias is not allowed)."
  }
}

variable "log_retention_days" {
  type        = number
  description = "Days that CloudWatch keeps the access log."
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a retention that CloudWatch Logs offers: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "name" {
  type        = string
  description = "Name of the API."
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.-]{1,128}$", var.name))
    error_message = "name must be 1 to 128 letters, digits, underscores, dots or hyphens."
  }
}

variable "redeployment_triggers" {
  type        = map(string)
  description = "Values of your own objects of the API, such as an authorizer or a route response. A change deploys the API again. This is needed only for deletions, because API Gateway deploys creations and updates."
  default     = {}
  nullable    = false
}

variable "route_selection_expression" {
  type        = string
  description = "Expression that selects the route of a message. Braces join several fields: `$${request.body.service}/$${request.body.action}`."
  default     = "$request.body.action"
  nullable    = false

  validation {
    condition     = can(regex("\\$(request\\.body\\.|\\{request\\.body\\.)[A-Za-z0-9_]", var.route_selection_expression))
    error_message = "route_selection_expression must select by the message's JSON, like \"$request.body.action\"."
  }
}

variable "routes" {
  type = map(object({
    integration_uri        = string
    permission_id          = optional(string)
    throttling_burst_limit = optional(number)
    throttling_rate_limit  = optional(number)
    timeout_milliseconds   = optional(number, 29000)
  }))
  description = "Routes by key: the function's invoke ARN, limits that override the stage's, and API Gateway's time-out. The permission with the id `permission_id` is created before the route is served and deleted after it."
  nullable    = false

  validation {
    condition     = length(var.routes) >= 1 && alltrue([for key in keys(var.routes) : !startswith(key, "$") || contains(["$connect", "$default", "$disconnect"], key)])
    error_message = "routes must have at least one key; none may start with \"$\" but \"$connect\", \"$default\" and \"$disconnect\"."
  }

  validation {
    condition     = alltrue([for key in keys(var.routes) : can(regex("^[$]?[A-Za-z0-9_./:@+=~-]{1,128}$", key)) && length(key) <= 128])
    error_message = "routes must have keys of 1 to 128 letters, digits and the characters _ . / : @ + = ~ -, because the invoke permission's ARN ends with the key: a \"*\" or \"?\" would match other routes."
  }

  validation {
    condition     = alltrue([for route in values(var.routes) : can(regex("^arn:[a-z0-9-]+:apigateway:[a-z0-9-]+:lambda:path/2015-03-31/functions/arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:[a-zA-Z0-9:$_-]+/invocations$", route.integration_uri)) if route != null])
    error_message = "routes must each have an integration_uri that is a function's invoke ARN, like \"arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:connect/invocations\"."
  }

  validation {
    condition     = alltrue([for route in values(var.routes) : try(route.throttling_burst_limit >= 1 && route.throttling_burst_limit <= 2147483647 && floor(route.throttling_burst_limit) == route.throttling_burst_limit, route.throttling_burst_limit == null) if route != null])
    error_message = "routes must each have a throttling_burst_limit that is null or a whole number of requests from 1 to 2147483647."
  }

  validation {
    condition     = alltrue([for route in values(var.routes) : try(route.throttling_rate_limit > 0, route.throttling_rate_limit == null) if route != null])
    error_message = "routes must each have a throttling_rate_limit that is null or a number of requests per second above 0."
  }

  validation {
    condition     = alltrue([for route in values(var.routes) : route.timeout_milliseconds >= 50 && route.timeout_milliseconds <= 29000 && floor(route.timeout_milliseconds) == route.timeout_milliseconds if route != null])
    error_message = "routes must each have a timeout_milliseconds that is a whole number from 50 to 29000."
  }
}

variable "stage_name" {
  type        = string
  description = "Name of the stage: the last part of the URL."
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,128}$", var.stage_name))
    error_message = "stage_name must be 1 to 128 letters, digits, hyphens or underscores; a WebSocket API has no \"$default\" stage."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of the API, its stage and its log group."
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.tags) <= 50 && alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "tags must be at most 50 tags whose keys do not start with \"aws:\", which AWS reserves."
  }

  validation {
    condition     = alltrue([for key, value in var.tags : length(key) <= 128 && try(length(value) <= 256, false) && can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]+$", key)) && can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]*$", value))])
    error_message = "tags must have keys of 1 to 128 characters and values of at most 256, all of them letters, digits, spaces or one of _ . : / = + - @, and none null."
  }

  validation {
    condition     = length(distinct([for key in keys(var.tags) : lower(key)])) == length(var.tags)
    error_message = "tags must not have keys that differ only in upper and lower case, which IAM takes for the same."
  }
}

variable "throttling_burst_limit" {
  type        = number
  description = "Requests that a route accepts at once before its rate limit applies."
  default     = 1000
  nullable    = false

  validation {
    condition     = var.throttling_burst_limit >= 1 && var.throttling_burst_limit <= 2147483647 && floor(var.throttling_burst_limit) == var.throttling_burst_limit
    error_message = "throttling_burst_limit must be a whole number of requests from 1 to 2147483647."
  }
}

variable "throttling_rate_limit" {
  type        = number
  description = "Requests per second that a route accepts."
  default     = 2000
  nullable    = false

  validation {
    condition     = var.throttling_rate_limit > 0
    error_message = "throttling_rate_limit must be a number of requests per second above 0."
  }
}
