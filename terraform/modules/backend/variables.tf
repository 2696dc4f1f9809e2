# Variables for the backend as a whole: API, routes, logs, names and tags. Each topic has a file beside this one.

variable "access_log_enabled" {
  type        = bool
  description = "Whether the stage writes one line per request to its own log group. If AWS refuses with `CloudWatch Logs role ARN must be set in account settings to enable logging`, apply `modules/account-logging` once in the account and Region."
  default     = false
  nullable    = false
}

variable "additional_routes" {
  type = map(object({
    function_name          = string
    invoke_arn             = string
    throttling_burst_limit = optional(number)
    throttling_rate_limit  = optional(number)
    timeout_milliseconds   = optional(number, 29000)
  }))
  description = "Your own routes by key, each served by your function. This module creates the permission to invoke it for exactly that route. With the `invoke_arn` of an alias or a version, the permission belongs to the alias or the version."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for route in values(var.additional_routes) : route != null])
    error_message = "additional_routes must have no route that is null."
  }

  validation {
    condition     = alltrue([for key in keys(var.additional_routes) : !startswith(key, "$") && !contains(keys(local.routes), key)])
    error_message = "additional_routes must have keys that do not start with \"$\" and are not among the backend's own: ${join(", ", keys(local.routes))}."
  }

  # The key ends the ARN that the permission is for, where `*` and `?` match anything.
  validation {
    condition     = alltrue([for key in keys(var.additional_routes) : can(regex("^[A-Za-z0-9_./:@+=~-]{1,128}$", key))])
    error_message = "additional_routes must have keys of 1 to 128 letters, digits and the characters _ . / : @ + = ~ -, because the invoke permission's ARN ends with the key: a \"*\" or \"?\" would match other routes."
  }

  validation {
    condition     = alltrue([for route in values(var.additional_routes) : can(regex("^[a-zA-Z0-9_-]{1,64}$", route.function_name)) if route != null])
    error_message = "additional_routes must each have a function_name that is the name of a Lambda function: 1 to 64 letters, digits, hyphens or underscores."
  }

  validation {
    condition     = alltrue([for route in values(var.additional_routes) : can(regex("^arn:[a-z0-9-]+:apigateway:[a-z0-9-]+:lambda:path/2015-03-31/functions/arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:[a-zA-Z0-9_-]+(:[a-zA-Z0-9_-]+)?/invocations$", route.invoke_arn)) if route != null])
    error_message = "additional_routes must each have an invoke_arn that is the invoke_arn of a Lambda function, or of a version or an alias of it other than $LATEST, like \"arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:search/invocations\"."
  }

  validation {
    condition     = alltrue([for route in values(var.additional_routes) : try(regex(":function:([a-zA-Z0-9_-]+)", route.invoke_arn)[0] == route.function_name, true) if route != null])
    error_message = "additional_routes must each have the invoke_arn of the function that function_name names, because the permission is for that function."
  }

  validation {
    condition     = alltrue([for route in values(var.additional_routes) : try(route.throttling_burst_limit >= 1 && route.throttling_burst_limit <= 2147483647 && floor(route.throttling_burst_limit) == route.throttling_burst_limit, route.throttling_burst_limit == null) if route != null])
    error_message = "additional_routes must each have a throttling_burst_limit that is null or a whole number of requests from 1 to 2147483647."
  }

  validation {
    condition     = alltrue([for route in values(var.additional_routes) : try(route.throttling_rate_limit > 0, route.throttling_rate_limit == null) if route != null])
    error_message = "additional_routes must each have a throttling_rate_limit that is null or a number of requests per second above 0."
  }

  validation {
    condition     = alltrue([for route in values(var.additional_routes) : route.timeout_milliseconds >= 50 && route.timeout_milliseconds <= 29000 && floor(route.timeout_milliseconds) == route.timeout_milliseconds if route != null])
    error_message = "additional_routes must each have a timeout_milliseconds that is a whole number from 50 to 29000."
  }
}

variable "allow_replacement" {
  type        = set(string)
  description = "Names of variables that may change in this apply although that replaces what clients use, or leaves a key behind: `name`, `stage_name`, `table_name`, `table_kms_key_arn`. A plan refuses such a change otherwise. Leave it empty afterwards."
  default     = []
  nullable    = false

  validation {
    condition     = length(setsubtract(var.allow_replacement, ["name", "stage_name", "table_kms_key_arn", "table_name"])) == 0
    error_message = "allow_replacement must be names of variables whose change can be refused: \"name\", \"stage_name\", \"table_kms_key_arn\" or \"table_name\"."
  }
}

variable "default_endpoint_enabled" {
  type        = bool
  description = "Whether the API's own endpoint at `execute-api` answers. Without it clients reach the API through a custom domain alone, and so must the functions: give `management_endpoint`, on a stage with clients one apply before."
  default     = true
  nullable    = false
}

variable "detailed_metrics_enabled" {
  type        = bool
  description = "Whether CloudWatch also has API Gateway's metrics of each route, which cost as custom metrics."
  default     = false
  nullable    = false
}

variable "environment_kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the functions' environment variables; the principal that applies needs `kms:CreateGrant`, `kms:Encrypt` and `kms:Decrypt` on it. Null means the account's AWS managed key `aws/lambda`."
  default     = null

  validation {
    condition     = var.environment_kms_key_arn == null || can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.environment_kms_key_arn))
    error_message = "environment_kms_key_arn must be null or the ARN of a KMS key, like \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\" (an alias is not allowed)."
  }
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
  description = "ARN of the KMS key that encrypts the log groups; its key policy must allow CloudWatch Logs. Null means CloudWatch's own encryption."
  default     = null

  validation {
    condition     = var.log_kms_key_arn == null || can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.log_kms_key_arn))
    error_message = "log_kms_key_arn must be null or the ARN of a KMS key, like \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\" (an alias is not allowed)."
  }
}

variable "log_level" {
  type        = string
  description = "Least severe level that the functions log: `DEBUG`, `INFO`, `WARNING` or `ERROR`."
  default     = "INFO"
  nullable    = false

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "log_level must be one of \"DEBUG\", \"INFO\", \"WARNING\" or \"ERROR\"."
  }
}

variable "log_retention_days" {
  type        = number
  description = "Days that CloudWatch keeps the log lines."
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a retention that CloudWatch Logs offers: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "management_endpoint" {
  type        = string
  description = "Base URL of the `@connections` calls, in which `{api_id}` and `{stage_name}` are replaced. Null means the API's own endpoint. Set it if `default_endpoint_enabled` is false, or on an emulator."
  default     = null

  validation {
    condition     = var.management_endpoint == null || can(regex("^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*|/[.][.]?[A-Za-z0-9_~-][A-Za-z0-9._~-]*|/[.]{3}[A-Za-z0-9._~-]*)*$", replace(replace(var.management_endpoint, "{api_id}", "a"), "{stage_name}", "s")))
    error_message = "management_endpoint must be null or an http or https URL, like \"https://ws.example.com/chat\": a host and a path of letters, digits, \".\", \"_\", \"~\" and \"-\", without query, trailing or double slash, \".\" or \"..\" as a part, and percent signs, all of which would be signed otherwise than they are sent. Its only placeholders are {api_id} and {stage_name}."
  }
}

variable "name" {
  type        = string
  description = "Prefix of the names of all resources. Two backends in one account need two names, which differ in more than upper and lower case."
  default     = "roomcast"
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{1,39}$", var.name))
    error_message = "name must be 2 to 40 letters, digits or hyphens, and start with a letter."
  }
}

variable "permissions_boundary_arn" {
  type        = string
  description = "ARN of the policy that bounds the functions' roles. Null means no boundary."
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z0-9-]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be null or the ARN of an IAM policy, like \"arn:aws:iam::111122223333:policy/boundary\"."
  }
}

variable "stage_name" {
  type        = string
  description = "Name of the stage: the last part of the URL."
  default     = "live"
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,128}$", var.stage_name))
    error_message = "stage_name must be 1 to 128 letters, digits, hyphens or underscores; a WebSocket API has no \"$default\" stage."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of all resources that support tags."
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
  description = "Requests that a route accepts at once before its rate limit applies. The default fits every Region's quota."
  default     = 1000
  nullable    = false

  validation {
    condition     = var.throttling_burst_limit >= 1 && var.throttling_burst_limit <= 2147483647 && floor(var.throttling_burst_limit) == var.throttling_burst_limit
    error_message = "throttling_burst_limit must be a whole number of requests from 1 to 2147483647."
  }
}

variable "throttling_rate_limit" {
  type        = number
  description = "Requests per second that a route accepts. The default fits every Region's quota."
  default     = 2000
  nullable    = false

  validation {
    condition     = var.throttling_rate_limit > 0
    error_message = "throttling_rate_limit must be a number of requests per second above 0."
  }
}
