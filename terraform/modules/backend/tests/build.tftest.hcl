# A plan refuses zips that do not match the sources. Each folder of fixtures except `built` has one fault.

mock_provider "aws" {}

variables {
  handler_sources_directory = "tests/fixtures/sources"
  handlers_directory        = "tests/fixtures/built"
}

run "zips_built_from_the_sources_are_taken" {
  command = plan

  assert {
    condition     = length(terraform_data.build.input) == 5 && alltrue([for sha256 in values(terraform_data.build.input) : length(sha256) == 64])
    error_message = "each of the five handlers has its zip"
  }
}

run "absolute_folder_is_advised_against" {
  command = plan

  variables {
    handlers_directory = "/nowhere"
  }

  expect_failures = [check.zips_lie_in_a_relative_folder, terraform_data.build]
}

run "missing_manifest_is_refused" {
  command = plan

  variables {
    handlers_directory = "tests/fixtures/sources"
  }

  expect_failures = [terraform_data.build]
}

run "manifest_of_another_format_is_refused" {
  command = plan

  variables {
    handlers_directory = "tests/fixtures/other_format"
  }

  expect_failures = [terraform_data.build]
}

run "missing_zip_is_refused" {
  command = plan

  variables {
    handlers_directory = "tests/fixtures/zip_missing"
  }

  expect_failures = [terraform_data.build]
}

run "zip_that_the_manifest_does_not_list_is_refused" {
  command = plan

  variables {
    handlers_directory = "tests/fixtures/zip_unlisted"
  }

  expect_failures = [terraform_data.build]
}

run "zip_other_than_the_manifests_is_refused" {
  command = plan

  variables {
    handlers_directory = "tests/fixtures/zip_changed"
  }

  expect_failures = [terraform_data.build]
}

run "zip_older_than_a_source_is_refused" {
  command = plan

  variables {
    handler_sources_directory = "tests/fixtures/edited_sources"
  }

  expect_failures = [terraform_data.build]
}

run "zip_whose_source_vanished_is_refused" {
  command = plan

  variables {
    handler_sources_directory = "tests/fixtures/built"
  }

  expect_failures = [terraform_data.build]
}
