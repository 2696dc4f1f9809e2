# Variables for the functions: what one of them, or all of them, have in place of their rows' settings.

variable "function_defaults" {
  type = object({
    code_signing_config_arn = optional(string)
    ephemeral_storage_size  = optional(number, 512)
    layers                  = optional(list(string), [])
    log_format              = optional(string, "Text")
    role_path               = optional(string, "/")
    tracing_mode            = optional(string, "PassThrough")
    vpc = optional(object({
      subnet_ids         = set(string)
      security_group_ids = set(string)
      ipv6_allowed       = optional(bool, false)
    }))
  })
  description = "Settings of all functions: a code signing configuration, whose zips AWS Signer must have signed; MB for temporary files; layers, of which none may have another Region; whether Lambda's own log lines are `Text` or `JSON`; the path with which roles are created; X-Ray's mode, `PassThrough` or `Active`; subnets and security groups in a VPC, from which the functions must reach API Gateway, DynamoDB and, with a queue, SQS."
  default     = {}
  nullable    = false

  validation {
    condition     = var.function_defaults.code_signing_config_arn == null || can(regex("^arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:code-signing-config:csc-[a-z0-9]{17}$", var.function_defaults.code_signing_config_arn))
    error_message = "function_defaults must have a code_signing_config_arn that is null or the ARN of a code signing configuration, like \"arn:aws:lambda:eu-central-1:111122223333:code-signing-config:csc-0123456789abcdef0\"."
  }

  validation {
    condition     = var.function_defaults.ephemeral_storage_size >= 512 && var.function_defaults.ephemeral_storage_size <= 10240 && floor(var.function_defaults.ephemeral_storage_size) == var.function_defaults.ephemeral_storage_size
    error_message = "function_defaults must have an ephemeral_storage_size that is a whole number of MB from 512 to 10240."
  }

  validation {
    condition     = length(var.function_defaults.layers) <= 5 && alltrue([for arn in var.function_defaults.layers : can(regex("^arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:layer:[a-zA-Z0-9_-]+:[0-9]+$", arn))])
    error_message = "function_defaults must have layers that are at most 5 ARNs of versions of layers, like \"arn:aws:lambda:eu-central-1:111122223333:layer:agent:7\"."
  }

  validation {
    condition     = contains(["Text", "JSON"], var.function_defaults.log_format)
    error_message = "function_defaults must have a log_format that is \"Text\" or \"JSON\"."
  }

  validation {
    condition     = length(var.function_defaults.role_path) <= 512 && can(regex("^/([!-.0-~]+/)*$", var.function_defaults.role_path))
    error_message = "function_defaults must have a role_path that begins and ends with a slash, like \"/platform/\"."
  }

  validation {
    condition     = contains(["Active", "PassThrough"], var.function_defaults.tracing_mode)
    error_message = "function_defaults must have a tracing_mode that is \"Active\" or \"PassThrough\"."
  }

  validation {
    condition     = var.function_defaults.vpc == null || try(length(var.function_defaults.vpc.subnet_ids) >= 1 && length(var.function_defaults.vpc.subnet_ids) <= 16 && alltrue([for id in var.function_defaults.vpc.subnet_ids : can(regex("^subnet-[0-9a-f]{8,17}$", id))]), false)
    error_message = "function_defaults must have a vpc that is null or has subnet_ids that are 1 to 16 ids of subnets, like \"subnet-0123456789abcdef0\"."
  }

  validation {
    condition     = var.function_defaults.vpc == null || try(length(var.function_defaults.vpc.security_group_ids) >= 1 && length(var.function_defaults.vpc.security_group_ids) <= 5 && alltrue([for id in var.function_defaults.vpc.security_group_ids : can(regex("^sg-[0-9a-f]{8,17}$", id))]), false)
    error_message = "function_defaults must have a vpc that is null or has security_group_ids that are 1 to 5 ids of security groups, like \"sg-0123456789abcdef0\"."
  }
}

variable "functions" {
  type = map(object({
    ephemeral_storage_size  = optional(number)
    layers                  = optional(list(string), [])
    memory_size             = optional(number)
    provisioned_concurrency = optional(number)
    reserved_concurrency    = optional(number)
    snap_start              = optional(bool, false)
    timeout                 = optional(number)
  }))
  description = "Settings of single functions by handler, like `{ sendmessage = { memory_size = 1769 } }`; what is null stays as the function's row or `function_defaults` has it. MB of memory and for temporary files, layers in place of the defaults', environments that Lambda keeps ready for the function's alias, invocations at a time that are reserved for the function, whether its versions begin from a snapshot (SnapStart), seconds. Which functions have a provisioned_concurrency must be known at plan."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for function in values(var.functions) : try(function.ephemeral_storage_size >= 512 && function.ephemeral_storage_size <= 10240 && floor(function.ephemeral_storage_size) == function.ephemeral_storage_size, function.ephemeral_storage_size == null) if function != null])
    error_message = "functions must each have an ephemeral_storage_size that is null or a whole number of MB from 512 to 10240."
  }

  validation {
    condition     = alltrue([for function in values(var.functions) : length(function.layers) <= 5 && alltrue([for arn in function.layers : can(regex("^arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:layer:[a-zA-Z0-9_-]+:[0-9]+$", arn))]) if function != null])
    error_message = "functions must each have layers that are at most 5 ARNs of versions of layers, like \"arn:aws:lambda:eu-central-1:111122223333:layer:agent:7\"."
  }

  validation {
    condition     = alltrue([for function in values(var.functions) : try(function.memory_size >= 128 && function.memory_size <= 10240 && floor(function.memory_size) == function.memory_size, function.memory_size == null) if function != null])
    error_message = "functions must each have a memory_size that is null or a whole number of MB from 128 to 10240."
  }

  validation {
    condition     = alltrue([for function in values(var.functions) : try(function.provisioned_concurrency >= 1 && floor(function.provisioned_concurrency) == function.provisioned_concurrency, function.provisioned_concurrency == null) if function != null])
    error_message = "functions must each have a provisioned_concurrency that is null or a whole number from 1 upwards."
  }

  validation {
    condition     = alltrue([for function in values(var.functions) : !coalesce(function.snap_start, false) || function.provisioned_concurrency == null && coalesce(function.ephemeral_storage_size, var.function_defaults.ephemeral_storage_size) <= 512 if function != null])
    error_message = "functions must each have no provisioned_concurrency and at most 512 MB of ephemeral_storage_size, their own or that of function_defaults, if snap_start is true, because Lambda allows neither with SnapStart."
  }

  validation {
    condition     = alltrue([for function in values(var.functions) : try(function.reserved_concurrency >= 0 && floor(function.reserved_concurrency) == function.reserved_concurrency, function.reserved_concurrency == null) if function != null])
    error_message = "functions must each have a reserved_concurrency that is null or a whole number from 0, which stops the function, upwards."
  }

  validation {
    condition     = alltrue([for function in values(var.functions) : try(function.timeout >= 1 && function.timeout <= 900 && floor(function.timeout) == function.timeout, function.timeout == null) if function != null])
    error_message = "functions must each have a timeout that is null or a whole number of seconds from 1 to 900."
  }
}
