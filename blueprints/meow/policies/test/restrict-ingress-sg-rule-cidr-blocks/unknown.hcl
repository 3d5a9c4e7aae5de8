mock "tfplan/v2" {
  module {
    source = "mock-tfplan-unknown.sentinel"
  }
}

test {
  rules = {
    main = false
  }
}
