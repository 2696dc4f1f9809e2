variable "architecture" {
  type        = string
  description = "Instruction set of the function: `arm64` or `x86_64`."
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be one of Lambda's instruction sets: \"arm64\" or \"x86_64\"."
  }
}

variable "code_revision" {
  type        = string
  description = "Any text; another one uploads the code again. Needed where a warning says that the function runs other code than its zip's, as after an upload that AWS refused."
  default     = null

  validation {
    condition     = var.code_revision == null || can(regex("^[A-Za-z0-9._-]{1,64}$", var.code_revision))
    error_message = "code_revision must be null or 1 to 64 letters, digits, dots, underscores or hyphens."
  }
}

variable "code_signing_config_arn" {
  type        = string
  description = "ARN of the code signing configuration of the function, in its Region: Lambda then takes only zips that AWS Signer has signed. Null means none."
  default     = null

  validation {
    condition     = var.code_signing_config_arn == null || can(regex("^arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:code-signing-config:csc-[a-z0-9]{17}$", var.code_signing_config_arn))
    error_message = "code_signing_config_arn must be null or the ARN of a code signing configuration, like \"arn:aws:lambda:eu-central-1:111122223333:code-signing-config:csc-0123456789abcdef0\"."
  }
}

variable "description" {
  type        = string
  description = "Description of the function, shown in the console."
  default     = null

  validation {
    condition     = var.description == null || try(length(var.description) <= 256, false)
    error_message = "description must be null or at most 256 characters."
  }
}

variable "environment" {
  type        = map(string)
  description = "Environment variables of the function."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^[a-zA-Z][a-zA-Z0-9_]+$", name))])
    error_message = "environment must have names that Lambda allows: a letter, then at least one letter, digit or underscore."
  }

  # https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime, without those that
  # begin with an underscore.
  validation {
    condition = length(setintersection(keys(var.environment), [
      "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
      "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
      "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
      "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT",
    ])) == 0
    error_message = "environment must have no names that Lambda itself sets, such as AWS_REGION: it refuses a function with one of them."
  }
}

variable "ephemeral_storage_size" {
  type        = number
  description = "Size of the function's folder for temporary files in MB."
  default     = 512
  nullable    = false

  validation {
    condition     = var.ephemeral_storage_size >= 512 && var.ephemeral_storage_size <= 10240 && floor(var.ephemeral_storage_size) == var.ephemeral_storage_size
    error_message = "ephemeral_storage_size must be a whole number of MB from 512 to 10240."
  }
}

variable "filename" {
  type        = string
  description = "Path of the zip with the code. Give either this or `s3_bucket` and `s3_key`."
  default     = null

  validation {
    condition     = (var.filename == null) == (var.s3_bucket != null && var.s3_key != null) && (var.s3_bucket == null) == (var.s3_key == null)
    error_message = "filename must be set if the code is a local zip, and s3_bucket and s3_key together if it is in S3; exactly one of the two is allowed."
  }
}

variable "handler" {
  type        = string
  description = "Entry point of the code: `<module>.<function>`."
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_/-]+(\\.[A-Za-z0-9_]+)+$", var.handler))
    error_message = "handler must be a module and a function joined by a dot, like \"connect.handler\"."
  }
}

variable "invoke_permissions" {
  type        = map(string)
  description = "API Gateway sources with permission to invoke the function: prefix of the statement id => source ARN."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for prefix in keys(var.invoke_permissions) : can(regex("^[a-zA-Z0-9_-]{1,70}$", prefix))])
    error_message = "invoke_permissions must have keys of 1 to 70 letters, digits, hyphens or underscores: they are prefixes of statement ids."
  }

  validation {
    condition     = alltrue([for arn in values(var.invoke_permissions) : can(regex("^arn:[a-z0-9-]+:execute-api:", arn))])
    error_message = "invoke_permissions must have values that are execute-api ARNs, like \"arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/live/sendmessage\"."
  }
}

variable "invoker_principals" {
  type        = set(string)
  description = "Who may invoke the function besides principals of its account with a right of their own: accounts (12 digits), ARNs of roles or users, or services of AWS on behalf of the function's account."
  default     = []
  nullable    = false

  validation {
    condition     = length(var.invoker_principals) <= 20 && alltrue([for principal in var.invoker_principals : can(regex("^([0-9]{12}|arn:aws[a-z-]*:iam::[0-9]{12}:(root|(role|user)/[A-Za-z0-9+=,.@_/-]{1,512})|[a-z0-9-]+([.][a-z0-9-]+)*[.]amazonaws[.]com([.]cn)?)$", principal))])
    error_message = "invoker_principals must be at most 20 accounts (12 digits), ARNs of their roles or users, or services such as \"events.amazonaws.com\", and none null."
  }
}

variable "kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the environment variables. Lambda decrypts them by a grant, so the function's role needs no right; the principal that applies needs `kms:CreateGrant`, `kms:Encrypt` and `kms:Decrypt`. Null means the account's AWS managed key `aws/lambda`."
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be null or the ARN of a KMS key, like \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\" (an alias is not allowed)."
  }
}

variable "layers" {
  type        = list(string)
  description = "ARNs of versions of layers whose content the function finds beside its code, such as an agent's. The owner of a layer of another account must allow this one to use it."
  default     = []
  nullable    = false

  validation {
    condition     = length(var.layers) <= 5 && alltrue([for arn in var.layers : can(regex("^arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:layer:[a-zA-Z0-9_-]+:[0-9]+$", arn))])
    error_message = "layers must be at most 5 ARNs of versions of layers, like \"arn:aws:lambda:eu-central-1:111122223333:layer:agent:7\"."
  }
}

variable "log_format" {
  type        = string
  description = "Format of the lines that Lambda itself adds to the log: `Text` or `JSON`. The handlers print JSON in both cases."
  default     = "Text"
  nullable    = false

  validation {
    condition     = contains(["Text", "JSON"], var.log_format)
    error_message = "log_format must be \"Text\" or \"JSON\"."
  }
}

variable "log_kms_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the log group; its key policy must allow CloudWatch Logs. Null means CloudWatch's own encryption."
  default     = null

  validation {
    condition     = var.log_kms_key_arn == null || can(regex("^arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.log_kms_key_arn))
    error_message = "log_kms_key_arn must be null or the ARN of a KMS key, like \"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\" (an alias is not allowed)."
  }
}

variable "log_retention_days" {
  type        = number
  description = "Days that CloudWatch keeps the function's log lines."
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a retention that CloudWatch Logs offers: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "memory_size" {
  type        = number
  description = "Memory of the function in MB. Lambda assigns CPU in proportion: 1,769 MB are one vCPU."
  default     = 256
  nullable    = false

  validation {
    condition     = var.memory_size >= 128 && var.memory_size <= 10240 && floor(var.memory_size) == var.memory_size
    error_message = "memory_size must be a whole number of MB from 128 to 10240."
  }
}

variable "name" {
  type        = string
  description = "Name of the function. The names of its log group and role derive from it."
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,64}$", var.name))
    error_message = "name must be a valid Lambda function name: 1 to 64 letters, digits, hyphens or underscores."
  }
}

variable "permissions_boundary_arn" {
  type        = string
  description = "ARN of the policy that bounds the function's role. Null means no boundary."
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z0-9-]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be null or the ARN of an IAM policy, like \"arn:aws:iam::111122223333:policy/boundary\"."
  }
}

variable "policy" {
  type        = string
  description = "IAM policy of the function as JSON: its permissions besides writing its own logs. What it denies, Lambda may not do in the function's name either: decrypt the environment, manage network interfaces, write traces."
  nullable    = false

  validation {
    condition     = try(length(flatten([jsondecode(var.policy).Statement])) >= 1, false)
    error_message = "policy must be an IAM policy document in JSON, an object with \"Version\" and \"Statement\"."
  }
}

variable "reserved_concurrency" {
  type        = number
  description = "Invocations at a time that are reserved for the function, and its maximum. Null means the account's shared pool."
  default     = null

  validation {
    condition     = var.reserved_concurrency == null || try(var.reserved_concurrency >= 0 && floor(var.reserved_concurrency) == var.reserved_concurrency, false)
    error_message = "reserved_concurrency must be null or a whole number from 0, which stops the function, upwards."
  }
}

variable "role_path" {
  type        = string
  description = "Path of the function's role. A role keeps the path with which it was created."
  default     = "/"
  nullable    = false

  validation {
    condition     = length(var.role_path) <= 512 && can(regex("^/([!-.0-~]+/)*$", var.role_path))
    error_message = "role_path must begin and end with a slash, like \"/platform/\"."
  }
}

variable "runtime" {
  type        = string
  description = "Lambda runtime of the code."
  default     = "python3.13"
  nullable    = false

  validation {
    condition     = can(regex("^python3\\.[0-9]+$", var.runtime))
    error_message = "runtime must be one of Lambda's Python runtimes, like \"python3.13\"."
  }
}

variable "s3_bucket" {
  type        = string
  description = "S3 bucket that holds the zip. Give it together with `s3_key`, or give `filename`."
  default     = null

  validation {
    condition     = var.s3_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.s3_bucket))
    error_message = "s3_bucket must be null or the name of an S3 bucket: 3 to 63 lower-case letters, digits, dots or hyphens."
  }
}

variable "s3_key" {
  type        = string
  description = "Key of the zip in `s3_bucket`. Put a hash of the content into the key, so that Terraform notices a change of the code."
  default     = null

  validation {
    condition     = var.s3_key == null || try(length(var.s3_key) >= 1 && length(var.s3_key) <= 1024, false)
    error_message = "s3_key must be null or the key of an S3 object: 1 to 1024 characters."
  }
}

variable "snap_start" {
  type        = bool
  description = "Whether each version begins from a snapshot of its function after the start (SnapStart), which excludes provisioned concurrency and more than 512 MB for temporary files."
  default     = false
  nullable    = false

  validation {
    condition     = !var.snap_start || var.ephemeral_storage_size <= 512
    error_message = "snap_start needs an ephemeral_storage_size of at most 512 MB, because Lambda allows no more with SnapStart."
  }
}

variable "source_code_hash" {
  type        = string
  description = "Base64 of the zip's SHA-256, as `filebase64sha256` returns it. A change deploys the code again."
  default     = null

  validation {
    condition     = var.source_code_hash == null || can(regex("^[A-Za-z0-9+/]{43}=$", var.source_code_hash))
    error_message = "source_code_hash must be null or the base64 of a SHA-256: 44 characters, as filebase64sha256 returns it."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of the function, its role and its log group."
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

variable "timeout" {
  type        = number
  description = "Maximum seconds of one invocation. API Gateway waits at most 29 s for a WebSocket route."
  default     = 10
  nullable    = false

  validation {
    condition     = var.timeout >= 1 && var.timeout <= 900 && floor(var.timeout) == var.timeout
    error_message = "timeout must be a whole number of seconds from 1 to 900."
  }
}

variable "tracing_mode" {
  type        = string
  description = "X-Ray: `Active` samples invocations, for which the role gets two more rights; `PassThrough` does so only where a caller asks for it."
  default     = "PassThrough"
  nullable    = false

  validation {
    condition     = contains(["Active", "PassThrough"], var.tracing_mode)
    error_message = "tracing_mode must be \"Active\" or \"PassThrough\"."
  }
}

variable "vpc" {
  type = object({
    subnet_ids         = set(string)
    security_group_ids = set(string)
    ipv6_allowed       = optional(bool, false)
  })
  description = "Subnets and security groups of the VPC that the function is in; whether it may also use IPv6, which needs subnets of both protocols. The role gets the rights to network interfaces. Null means no VPC."
  default     = null

  validation {
    condition     = var.vpc == null || try(length(var.vpc.subnet_ids) >= 1 && length(var.vpc.subnet_ids) <= 16 && alltrue([for id in var.vpc.subnet_ids : can(regex("^subnet-[0-9a-f]{8,17}$", id))]), false)
    error_message = "vpc must be null or have subnet_ids that are 1 to 16 ids of subnets, like \"subnet-0123456789abcdef0\"."
  }

  validation {
    condition     = var.vpc == null || try(length(var.vpc.security_group_ids) >= 1 && length(var.vpc.security_group_ids) <= 5 && alltrue([for id in var.vpc.security_group_ids : can(regex("^sg-[0-9a-f]{8,17}$", id))]), false)
    error_message = "vpc must be null or have security_group_ids that are 1 to 5 ids of security groups, like \"sg-0123456789abcdef0\"."
  }
}
