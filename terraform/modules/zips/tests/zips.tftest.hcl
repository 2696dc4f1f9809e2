# A plan refuses zips that do not match the sources. Each folder of fixtures except `built` has one fault.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
}

variables {
  directory         = "tests/fixtures/built"
  handlers          = ["connect", "default"]
  prefix            = "chat"
  sources_directory = "tests/fixtures/sources"
}

run "zips_built_from_the_sources_are_taken" {
  assert {
    condition     = terraform_data.build.output == { connect = filesha256("tests/fixtures/built/connect.zip"), default = filesha256("tests/fixtures/built/default.zip") }
    error_message = "each handler has its zip"
  }

  assert {
    condition     = output.hashes["connect"] == filebase64sha256("tests/fixtures/built/connect.zip") && output.hashes["default"] == filebase64sha256("tests/fixtures/built/default.zip")
    error_message = "each function sees a change of its own code"
  }

  assert {
    condition     = output.directory == "tests/fixtures/built" && length(output.s3_keys) == 0 && length(aws_s3_object.zip) == 0
    error_message = "nothing is uploaded"
  }

  assert {
    condition     = output.version == ""
    error_message = "a working tree is no release"
  }
}

run "the_bucket_may_be_sensitive" {
  command = plan

  variables {
    bucket = sensitive("zips")
  }

  assert {
    condition     = keys(aws_s3_object.zip) == ["connect", "default"]
    error_message = "as from an SSM parameter"
  }
}

run "zips_are_uploaded_if_there_is_a_bucket" {
  variables {
    bucket = "zips"
  }

  assert {
    condition     = output.s3_keys["connect"] == "chat/connect-${filesha256("tests/fixtures/built/connect.zip")}.zip" && aws_s3_object.zip["connect"].bucket == "zips"
    error_message = "a zip's key names backend, handler and content"
  }

  assert {
    condition     = toset(keys(output.s3_keys)) == toset(["connect", "default"]) && aws_s3_object.zip["default"].source == "tests/fixtures/built/default.zip"
    error_message = "each handler has its object"
  }
}

run "absolute_folder_is_advised_against" {
  command = plan

  variables {
    directory = "/nowhere"
  }

  expect_failures = [check.zips_lie_in_a_relative_folder, terraform_data.build]
}

run "missing_manifest_is_refused" {
  command = plan

  variables {
    directory = "tests/fixtures/sources"
  }

  expect_failures = [terraform_data.build]
}

run "manifest_of_another_format_is_refused" {
  command = plan

  variables {
    directory = "tests/fixtures/other_format"
  }

  expect_failures = [terraform_data.build]
}

run "zips_of_a_release_are_not_compared_with_sources" {
  variables {
    directory         = "tests/fixtures/released"
    sources_directory = "tests/fixtures/edited_sources"
  }

  assert {
    condition     = output.version == "1.2.3" && output.hashes["connect"] == filebase64sha256("tests/fixtures/released/connect.zip")
    error_message = "sources may have other line ends there, as Git for Windows checks them out"
  }
}

run "zip_other_than_the_releases_is_refused" {
  command = plan

  variables {
    directory = "tests/fixtures/released_zip_changed"
  }

  expect_failures = [terraform_data.build]
}

run "manifest_of_a_release_alone_is_refused_without_a_bucket" {
  command = plan

  variables {
    directory = "tests/fixtures/manifest_alone"
  }

  expect_failures = [terraform_data.build]
}

run "missing_zip_is_refused" {
  command = plan

  variables {
    directory = "tests/fixtures/zip_missing"
  }

  expect_failures = [terraform_data.build]
}

run "zip_that_the_manifest_does_not_list_is_refused" {
  command = plan

  variables {
    directory = "tests/fixtures/zip_unlisted"
  }

  expect_failures = [terraform_data.build]
}

run "zip_other_than_the_manifests_is_refused" {
  command = plan

  variables {
    directory = "tests/fixtures/zip_changed"
  }

  expect_failures = [terraform_data.build]
}

run "zip_without_a_digest_in_the_manifest_is_refused" {
  command = plan

  variables {
    directory = "tests/fixtures/digest_missing"
  }

  expect_failures = [terraform_data.build]
}

run "zip_without_a_digest_of_its_sources_is_refused" {
  command = plan

  variables {
    directory = "tests/fixtures/source_digest_missing"
  }

  expect_failures = [terraform_data.build]
}

run "zip_without_sources_is_refused" {
  command = plan

  variables {
    directory = "tests/fixtures/sources_missing"
  }

  expect_failures = [terraform_data.build]
}

run "zip_older_than_a_source_is_refused" {
  command = plan

  variables {
    sources_directory = "tests/fixtures/edited_sources"
  }

  expect_failures = [terraform_data.build]
}

run "zip_whose_source_vanished_is_refused" {
  command = plan

  variables {
    sources_directory = "tests/fixtures/built"
  }

  expect_failures = [terraform_data.build]
}

run "zip_of_the_architecture_is_taken" {
  variables {
    architecture = "x86_64"
    bucket       = "zips"
    directory    = "tests/fixtures/several_architectures"
    handlers     = ["authorizer", "connect"]
  }

  assert {
    condition     = tomap(output.paths) == tomap({ authorizer = "tests/fixtures/several_architectures/authorizer-x86_64.zip", connect = "tests/fixtures/several_architectures/connect.zip" })
    error_message = "a handler with native libraries has a zip for each architecture"
  }

  assert {
    condition     = output.hashes["authorizer"] == filebase64sha256("tests/fixtures/several_architectures/authorizer-x86_64.zip") && aws_s3_object.zip["authorizer"].source == output.paths["authorizer"]
    error_message = "the function gets the zip of its architecture"
  }
}

run "zip_of_the_other_architecture_is_not_taken" {
  command = plan

  variables {
    architecture = "x86_64"
    directory    = "tests/fixtures/one_architecture"
    handlers     = ["authorizer"]
  }

  expect_failures = [terraform_data.build]
}

run "handler_that_the_build_left_out_is_refused" {
  command = plan

  variables {
    handlers = ["authorizer", "connect", "default"]
  }

  expect_failures = [terraform_data.build]
}

run "architecture_that_lambda_lacks_is_refused" {
  command = plan

  variables {
    architecture = "riscv64"
  }

  expect_failures = [var.architecture]
}

run "published_zips_are_taken_from_their_bucket_by_the_manifest_alone" {
  variables {
    directory          = "tests/fixtures/manifest_alone"
    published_handlers = { bucket = "zips", region = "eu-west-1" }
  }

  assert {
    condition     = output.s3_keys["connect"] == "roomcast/connect/${filesha256("tests/fixtures/built/connect.zip")}.zip" && toset(keys(output.s3_keys)) == toset(["connect", "default"])
    error_message = "keys are made of handler and digest"
  }

  assert {
    condition     = output.hashes["default"] == filebase64sha256("tests/fixtures/built/default.zip") && length(aws_s3_object.zip) == 0
    error_message = "functions see a change of their code, and nothing is uploaded"
  }
}

run "published_zips_have_a_key_for_each_architecture" {
  variables {
    architecture       = "x86_64"
    directory          = "tests/fixtures/several_architectures"
    handlers           = ["authorizer"]
    published_handlers = { bucket = "zips", prefix = "a/b", region = "eu-west-1" }
  }

  assert {
    condition     = output.s3_keys["authorizer"] == "a/b/authorizer/${filesha256("tests/fixtures/several_architectures/authorizer-x86_64.zip")}.zip"
    error_message = "by the digest of the architecture's zip"
  }
}

run "published_zips_without_digests_are_refused" {
  command = plan

  variables {
    published_handlers = { bucket = "zips", region = "eu-west-1" }
  }

  expect_failures = [terraform_data.build]
}

run "published_zips_of_another_region_are_refused" {
  command = plan

  variables {
    directory          = "tests/fixtures/released"
    published_handlers = { bucket = "zips", region = "eu-central-1" }
  }

  expect_failures = [terraform_data.build]
}

run "published_zips_are_not_uploaded" {
  command = plan

  variables {
    bucket             = "zips"
    directory          = "tests/fixtures/released"
    published_handlers = { bucket = "zips", region = "eu-west-1" }
  }

  expect_failures = [terraform_data.build]
}
