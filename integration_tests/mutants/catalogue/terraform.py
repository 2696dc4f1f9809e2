"""Terraform broken on purpose: settings that get lost, permissions that are too wide, orders that AWS refuses."""

from __future__ import annotations

from integration_tests.mutants.mutant import Edit, Mutant

ROOT = "terraform/main.tf"
BACKEND = "terraform/modules/backend/main.tf"
BUILD = "terraform/modules/zips/main.tf"
BUILD_TESTS = "terraform/modules/zips/tests/zips.tftest.hcl"
POLICIES = "terraform/modules/backend/policies"
FUNCTIONS = "terraform/modules/backend/functions.tf"
QUEUE = "terraform/modules/backend/queue.tf"
ROWS = "terraform/modules/backend/routes.tf"
API = "terraform/modules/websocket-api/main.tf"
FANOUT_QUEUE = "terraform/modules/fanout-queue/main.tf"
HANDLER = "terraform/modules/handler/main.tf"
TABLE = "terraform/modules/connections-table/main.tf"

HANDED_ON = "scripts/tests/test_check_variables.py::test_nothing_is_dropped_or_swapped"
ENDS = "integration_tests/contract/test_validations.py::test_both_ends_of_each_range_are_accepted_and_no_next_value"
BACKEND_VARIABLES = "terraform/modules/backend/variables.tf"
REDEPLOYMENT = "scripts/tests/test_redeployment.py"
ON, OFF, STANDARD = (
    f"terraform/tests/whole/whole.tftest.hcl::{run}" for run in ("everything_on", "everything_off", "standard_queue")
)

BETWEEN_MODULES = (
    Mutant(
        "drops the permissions boundary in the root",
        (Edit(ROOT, "  permissions_boundary_arn  = var.permissions_boundary_arn\n", ""),),
        units=(HANDED_ON,),
        terraform=(ON,),
    ),
    Mutant(
        "swaps the throttling limits in the root",
        (
            Edit(ROOT, "= var.throttling_burst_limit", "= var.throttling_LIMIT"),
            Edit(ROOT, "= var.throttling_rate_limit", "= var.throttling_burst_limit"),
            Edit(ROOT, "= var.throttling_LIMIT", "= var.throttling_rate_limit"),
        ),
        units=(HANDED_ON,),
    ),
    Mutant(
        "sets deletion protection from point-in-time recovery",
        (
            Edit(
                BACKEND,
                "point_in_time_recovery = var.point_in_time_recovery",
                "point_in_time_recovery = var.table_deletion_protection",
            ),
        ),
        units=(HANDED_ON,),
    ),
    Mutant(
        "drops the log retention on its way to the API",
        (Edit(BACKEND, "  log_retention_days     = var.log_retention_days\n", ""),),
        units=(HANDED_ON,),
    ),
    Mutant(
        "switches the access log on for good",
        (Edit(BACKEND, "= var.access_log_enabled", "= var.access_log_enabled || true"),),
        terraform=(OFF,),
    ),
    Mutant(
        "drops the architecture of the functions",
        (Edit(FUNCTIONS, "  architecture             = var.architecture\n", ""),),
        units=(HANDED_ON,),
    ),
    Mutant(
        "encrypts the table with the key of the logs",
        (
            Edit(
                BACKEND,
                "  kms_key_arn            = var.table_kms_key_arn",
                "  kms_key_arn            = var.log_kms_key_arn",
            ),
        ),
        units=(HANDED_ON,),
    ),
    Mutant(
        "forgets a row's own throttle",
        (Edit(BACKEND, "try(route.throttling_rate_limit, null)", "null"),),
        units=(HANDED_ON,),
    ),
    Mutant(
        "throttles additional routes like the stage",
        (Edit(BACKEND, "        throttling_burst_limit = route.throttling_burst_limit\n", ""),),
        units=(HANDED_ON,),
    ),
    Mutant(
        "gives the worker the timeout of the queue's default",
        (Edit(FUNCTIONS, "= var.queued_delivery.worker_timeout", "= 30"),),
        terraform=(ON,),
    ),
    Mutant(
        "drops the functions' boundary",
        (Edit(FUNCTIONS, "  permissions_boundary_arn = var.permissions_boundary_arn\n", ""),),
        units=(HANDED_ON,),
        terraform=(ON,),
    ),
    Mutant(
        "gives the worker the right to be invoked by the API",
        (
            Edit(
                FUNCTIONS,
                "each.value.route_key == null ? {} : {\n    (each.key) = "
                '"${module.websocket_api.stage_execution_arn}/${each.value.route_key}"',
                "{\n    (each.key) = "
                '"${module.websocket_api.stage_execution_arn}/${coalesce(each.value.route_key, each.key)}"',
            ),
        ),
        terraform=(STANDARD,),
    ),
    Mutant(
        "leaves the worker out of the outputs",
        (
            Edit(
                "terraform/modules/backend/outputs.tf",
                "instance in module.handler : handler => instance.arn }",
                "instance in module.handler : handler => instance.arn if contains(keys(local.routes), handler) }",
            ),
        ),
        terraform=(STANDARD,),
    ),
    Mutant(
        "sets the number of workers from the batch size",
        (Edit(QUEUE, "= var.queued_delivery.maximum_concurrency", "= var.queued_delivery.batch_size"),),
        units=(HANDED_ON,),
    ),
    Mutant(
        "ignores the memory in the handler module",
        (Edit(HANDLER, "= var.memory_size", "= 256"),),
        units=(HANDED_ON,),
    ),
    Mutant(
        "ignores the timeout in the handler module",
        (Edit(HANDLER, "  timeout                        = var.timeout\n", ""),),
        units=(HANDED_ON,),
    ),
    Mutant(
        "passes another log level to the functions",
        (Edit(FUNCTIONS, "ROOMCAST_LOG_LEVEL           = var.log_level", 'ROOMCAST_LOG_LEVEL           = "INFO"'),),
        units=(HANDED_ON,),
    ),
    Mutant(
        "misspells the pace's environment variable",
        (Edit(FUNCTIONS, "ROOMCAST_PACE ", "ROOMCAST_RATE "),),
        units=("scripts/tests/test_agreement.py::test_functions_are_given_no_variable_that_they_do_not_read",),
        terraform=(OFF,),
    ),
    Mutant(
        "gives the sender no queue",
        (Edit(FUNCTIONS, "    sendmessage   = local.sender_environment\n", ""),),
        terraform=(ON, STANDARD),
    ),
    Mutant(
        "gives sendmessage the memory of the other functions",
        (Edit(ROWS, "memory_size = 1769", "memory_size = 256"),),
        terraform=(OFF,),
    ),
)

TOO_WIDE = (
    Mutant(
        "lets any stage and route invoke a function",
        (Edit(HANDLER, "= each.value\n", '= "${split("/", each.value)[0]}/*/*"\n'),),
        terraform=(OFF,),
    ),
    Mutant(
        "lets any route invoke an additional function",
        (
            Edit(
                BACKEND,
                '"${module.websocket_api.stage_execution_arn}/${each.key}"',
                '"${module.websocket_api.stage_execution_arn}/*"',
            ),
        ),
        terraform=(ON,),
    ),
    Mutant(
        "lets every service invoke a function",
        (Edit(HANDLER, 'principal     = "apigateway.amazonaws.com"', 'principal     = "*"'),),
        terraform=(OFF,),
    ),
    Mutant(
        "lets the worker do anything with the table",
        (
            Edit(
                f"{POLICIES}/fanout_worker.json.tftpl",
                '["dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem"]',
                '"dynamodb:*"',
            ),
        ),
        terraform=(STANDARD,),
    ),
    Mutant(
        "lets the worker post to every API's connections",
        (Edit(f"{POLICIES}/fanout_worker.json.tftpl", '"${stage_execution_arn}/POST/@connections/*"', '"*"'),),
        terraform=(STANDARD,),
    ),
    Mutant(
        "lets a route close connections too",
        (Edit(f"{POLICIES}/whoami.json.tftpl", "/POST/@connections/*", "/*/@connections/*"),),
        terraform=(OFF,),
    ),
    Mutant(
        "lets sendmessage receive from the queue",
        (Edit(f"{POLICIES}/sendmessage.json.tftpl", '"sqs:SendMessage"', '["sqs:SendMessage", "sqs:ReceiveMessage"]'),),
        terraform=(STANDARD,),
    ),
    Mutant(
        "lets any principal assume the role",
        (Edit(HANDLER, 'Principal = { Service = "lambda.amazonaws.com" }', 'Principal = "*"'),),
        terraform=(OFF,),
    ),
    Mutant(
        "lets functions read all logs",
        (
            Edit(
                HANDLER,
                '      Resource = "${aws_cloudwatch_log_group.this.arn}:*"\n    }]',
                '      Resource = "${aws_cloudwatch_log_group.this.arn}:*"\n    }, {\n      Sid      = "Read"\n'
                '      Action   = "logs:*"\n      Effect   = "Allow"\n      Resource = "*"\n    }]',
            ),
        ),
        terraform=(OFF,),
    ),
    Mutant(
        "lets functions administer the table's key",
        (Edit(FUNCTIONS, '["kms:Decrypt", "kms:DescribeKey"]', '"kms:*"'),),
        terraform=(ON,),
    ),
    Mutant(
        "lets every queue send dead letters",
        (
            Edit(
                FANOUT_QUEUE,
                'redrivePermission = "byQueue"\n    sourceQueueArns   = [aws_sqs_queue.messages.arn]\n',
                'redrivePermission = "allowAll"\n',
            ),
        ),
        terraform=(STANDARD,),
    ),
    Mutant(
        "writes query strings into the access log",
        (
            Edit(
                API,
                '    status            = "$context.status"\n',
                '    status            = "$context.status"\n    query = "$context.requestTime"\n',
            ),
        ),
        terraform=(ON,),
    ),
)

WORK = (
    Mutant(
        "holds two functions' log groups at once, which no name allows",
        (
            Edit(
                HANDLER,
                "  kms_key_id        = var.log_kms_key_arn\n",
                "  kms_key_id        = var.log_kms_key_arn\n\n  lifecycle {\n    create_before_destroy = true\n  }\n",
            ),
        ),
        units=(f"{REDEPLOYMENT}::test_nothing_is_created_before_it_is_destroyed",),
    ),
    Mutant(
        "serves a removed route for ever",
        (Edit(API, "    routes       = { for key, route in aws_apigatewayv2_route.this : key => route.id }\n", ""),),
        units=(f"{REDEPLOYMENT}::test_ids_of_all_that_is_deployed_are_in_the_snapshot[aws_apigatewayv2_route]",),
    ),
    Mutant(
        "keeps permissions that were added by hand",
        (Edit(HANDLER, "[aws_iam_role_policy.logs.name, aws_iam_role_policy.task.name]", "null"),),
        terraform=(OFF,),
    ),
    Mutant(
        "accepts messages into queues without TLS",
        (Edit(FANOUT_QUEUE, '"aws:SecureTransport" = "false"', '"aws:SecureTransport" = "true"'),),
        terraform=(STANDARD,),
    ),
    Mutant(
        "does not notice changed code",
        (Edit(FUNCTIONS, "  source_code_hash         = lookup(module.zips.hashes, each.key, null)\n", ""),),
        terraform=(OFF,),
    ),
    Mutant(
        "gives a function the digest of another function's code",
        (
            Edit(
                "terraform/modules/zips/outputs.tf",
                "handler => zip.hash }",
                "handler => local.zips[sort(var.handlers)[0]].hash }",
            ),
        ),
        terraform=(f"{BUILD_TESTS}::zips_built_from_the_sources_are_taken",),
    ),
    Mutant(
        "never compares the zips with the sources",
        (
            Edit(
                BUILD,
                ": local.source_digests[handler] != try(local.manifest_entries[handler].source_digest, null)",
                ": false",
            ),
        ),
        terraform=(f"{BUILD_TESTS}::zip_older_than_a_source_is_refused",),
    ),
    Mutant(
        "tries a whole batch again when one message failed",
        (Edit(FANOUT_QUEUE, '  function_response_types = ["ReportBatchItemFailures"]\n', ""),),
        terraform=(STANDARD,),
    ),
    Mutant(
        "lets the queue drop equal messages",
        (
            Edit(
                FANOUT_QUEUE,
                "  fifo_queue                 = var.fifo\n",
                "  fifo_queue                 = var.fifo\n  content_based_deduplication = var.fifo\n",
            ),
        ),
        terraform=(ON,),
    ),
    Mutant(
        "shows a message to a second worker before the first has ended",
        (Edit(FANOUT_QUEUE, "= 6 * var.function_timeout", "= var.function_timeout"),),
        terraform=(ON, STANDARD),
    ),
    Mutant(
        "names an attribute for expiry that no item has",
        (Edit(TABLE, 'attribute_name = "expires_at"', 'attribute_name = "expires"'),),
        units=("scripts/tests/test_agreement.py::test_items_have_the_tables_keys_and_expire_by_its_time_to_live",),
        terraform=(OFF,),
    ),
    Mutant(
        "refuses a worker the longest time that Lambda gives",
        (Edit(BACKEND_VARIABLES, "worker_timeout <= 900", "worker_timeout < 900"),),
        units=(ENDS,),
    ),
    Mutant(
        "takes a batch that is larger than a FIFO queue's",
        (Edit(BACKEND_VARIABLES, "batch_size <= 10 ", "batch_size <= 11 "),),
        units=(ENDS,),
    ),
    Mutant(
        "sets no burst limit in routes",
        (Edit(API, "      throttling_burst_limit = route_settings.value.burst_limit\n", ""),),
        terraform=(OFF,),
    ),
)

MUTANTS = (*BETWEEN_MODULES, *TOO_WIDE, *WORK)
